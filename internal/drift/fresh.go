package drift

import "slices"

// Fresh is a value of a category that the reference does not have, for messages.
type Fresh struct {
	Name string `json:"name"`
	Rows uint64 `json:"rows"` // at least so many have it
	hash uint64
}

// maxFresh is the max number of new values that counts remember.
const maxFresh = 8

// addFresh remembers a new value, in bounded memory: a value that is not remembered takes one row away
// from all others if there is no place for it (Misra and Gries, Science of Computer Programming 2, 1982).
// So each value in more than a ninth of the rows with new values is remembered.
func (c *Counts) addFresh(hash uint64, head []byte, whole int) {
	for i := range c.Fresh {
		if c.Fresh[i].hash == hash {
			c.Fresh[i].Rows++
			return
		}
	}
	if len(c.Fresh) < maxFresh {
		c.Fresh = append(c.Fresh, Fresh{Name: nameOf(head, whole), Rows: 1, hash: hash})
		return
	}
	c.Fresh = slices.DeleteFunc(c.Fresh, func(f Fresh) bool { return f.Rows == 1 })
	for i := range c.Fresh {
		c.Fresh[i].Rows--
	}
}

// mostFresh returns the most frequent new value that is known, nil if there is none.
func (c *Counts) mostFresh() *Fresh {
	var most *Fresh
	for i := range c.Fresh {
		if f := &c.Fresh[i]; most == nil || f.Rows > most.Rows || f.Rows == most.Rows && f.Name < most.Name {
			most = f
		}
	}
	return most
}
