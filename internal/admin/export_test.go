package admin

import "time"

// DecodeRoute is decodeRoute, for its fuzz test.
var DecodeRoute = decodeRoute

// Endpoints returns the method and path of each endpoint, as patterns of http.ServeMux.
func (s *Server) Endpoints() (list [][2]string) {
	for _, e := range s.all() {
		list = append(list, [2]string{e.method, e.path})
	}
	return list
}

// SetMaxUnread changes how long a watcher may not read.
func (s *Server) SetMaxUnread(d time.Duration) { s.watchers.maxUnread = d }
