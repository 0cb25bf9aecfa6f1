package shadow

import (
	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// OfferAround offers a request for which there is room, and calls f when the room is reserved
// and nothing has been copied.
func (t *Tap) OfferAround(req *infer.Request, resp *infer.Response, f func()) {
	size := req.ByteSize() + outputBytes(resp)
	if reason := t.mirror.admit(req, size); reason != "" {
		panic("no room: " + reason)
	}
	f()
	t.add(req, resp, size)
}

// Discard drops the waiting copies.
func (m *Mirror) Discard() {
	m.mu.Lock()
	dropped := m.queue
	m.queue = nil
	m.waiting.Add(-int64(len(dropped)))
	m.mu.Unlock()
	m.drop(dropped, api.DropExpired)
}
