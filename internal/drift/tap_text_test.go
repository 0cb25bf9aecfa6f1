package drift

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// TestTapOfTexts: rows are taken evenly, texts of any size take little room, and what has none is dropped.
func TestTapOfTexts(t *testing.T) {
	rng := rand.New(rand.NewPCG(16, 6))
	m, p := shop(), shopProfile(t, orders(rng, 2000, 0.3))
	newTap := func(rows, bytes int) *Tap {
		return NewTap(TapOptions{Model: m, Profile: p, Sample: api.TotalWeight, MaxRows: rows, MaxBytes: bytes, NameValues: true})
	}
	// The middle rows of 20 are numbers 2, 7, 12 and 17.
	list := orders(rng, 20, 0.3)
	for i := range list {
		list[i].currency = "C" + strconv.Itoa(i)
	}
	tap, counts := newTap(4, 1<<20), empty(p)
	offerOrders(t, tap, m, list, 20)
	rows, dropped := drain(tap, counts)
	var names []string
	for _, f := range counts[0].Fresh {
		names = append(names, f.Name)
	}
	if got := strings.Join(names, " "); rows != 4 || dropped != 0 || counts[0].Unseen != 4 || got != "C2 C7 C12 C17" {
		t.Errorf("%d rows, %d dropped, %d new: %s", rows, dropped, counts[0].Unseen, got)
	}

	// Texts of 1 MB: 16 rows have room, with what is looked at.
	for i := range list {
		list[i].currency, list[i].comment = strings.Repeat("y", 1<<20), strings.Repeat("1", 1<<20)
	}
	tap, counts = newTap(16, 64<<10), empty(p)
	offerOrders(t, tap, m, list[:16], 16)
	if rows, dropped := drain(tap, counts); rows != 16 || dropped != 0 {
		t.Errorf("%d rows, %d dropped", rows, dropped)
	}
	length, digits := counts[1], counts[3]
	if length.Above != 16 || digits.Above != 16 || counts[0].Unseen != 16 || len(counts[0].Fresh) != 1 || counts[0].Fresh[0].Rows != 16 {
		t.Errorf("%+v, %+v, %+v", length, digits, counts[0])
	}

	tap = newTap(16, 4<<10)
	offerOrders(t, tap, m, list, 20)
	if rows, dropped := drain(tap, counts); rows != 0 || dropped != 16 {
		t.Errorf("%d rows, %d dropped, without room", rows, dropped)
	}

	// Tensors that do not agree are dropped, and absent outputs are not missing.
	req, resp := orderRequest(t, m, list[:2])
	req.Inputs[0].Shape = infer.Shape{1, 3}
	tap, counts = newTap(16, 1<<20), empty(p)
	tap.Offer(req, resp)
	req, _ = orderRequest(t, m, list[:2])
	tap.Offer(req, infer.NewResponse())
	if rows, dropped := drain(tap, counts); rows != 2 || dropped != 2 || counts[len(counts)-1].N() != 0 || counts[0].N() != 2 {
		t.Errorf("%d rows, %d dropped, %+v", rows, dropped, counts)
	}
	// A tensor whose data ends before its shape does is not valid; it must not do harm.
	req.Inputs[0].Data = req.Inputs[0].Data[:2] // currency, since a check puts inputs in the order of the model
	tap.Offer(req, infer.NewResponse())
	if rows, _ := drain(tap, counts); rows != 2 || counts[0].Missing != 2 {
		t.Errorf("%d rows, %+v", rows, counts[0])
	}
}

// TestManyNewTexts: a million different values take the memory of a few.
func TestManyNewTexts(t *testing.T) {
	var c Counts
	for i := range 1_000_000 {
		text := []byte(strconv.Itoa(i))
		if i%3 == 0 {
			text = []byte("often")
		}
		c.addFresh(hashText(text, len(text)), text, len(text))
	}
	most := c.mostFresh()
	if len(c.Fresh) > maxFresh || most == nil || most.Name != "often" || most.Rows < 200_000 || most.Rows > 333_334 {
		t.Errorf("%+v", c.Fresh)
	}
}
