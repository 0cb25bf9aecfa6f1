package config

// bodies checks that the limits allow the largest request to be served.
func (d *decoder) bodies() {
	h, l := &d.cfg.Server.HTTP, &d.cfg.Server.Limits
	for _, setting := range []string{"http.max_body_memory", "http.max_body", "http.max_inflated", "limits.max_response"} {
		if d.failed("server." + setting) {
			return
		}
	}
	d.fitBodies()
	if least := leastBodyMemory(h, l); h.MaxBodyMemory < least {
		d.problemAt("server.http.max_body_memory", "%v is too little for one request of max_body %v, max_inflated %v and server.limits.max_response %v; it takes at least %v",
			h.MaxBodyMemory, h.MaxBody, h.MaxInflated, l.MaxResponse, least)
	}
}

// fitBodies lowers limits without a given value so that they fit into max_body_memory, which can
// then be set alone.
func (d *decoder) fitBodies() {
	h, l := &d.cfg.Server.HTTP, &d.cfg.Server.Limits
	for path, limit := range map[string]struct {
		size *Size
		part Size
	}{
		"server.http.max_body":       {&h.MaxBody, bodyPart},
		"server.http.max_inflated":   {&h.MaxInflated, bodyPart},
		"server.grpc.max_message":    {&d.cfg.Server.GRPC.MaxMessage, bodyPart},
		"server.limits.max_tensor":   {&l.MaxTensor, bodyPart},
		"server.limits.max_response": {&l.MaxResponse, responsePart},
	} {
		if !d.isGiven(path) {
			*limit.size = min(*limit.size, h.MaxBodyMemory/limit.part)
		}
	}
}

// The divisors of max_body_memory for the max body and the max answer, unless their limits are
// given. With these the largest request fits.
const (
	bodyPart     = 16
	responsePart = 4
)

// leastBodyMemory returns the min max_body_memory with which the largest request fits. The HTTP
// listener releases what a phase does not need, so it is the max that one phase holds:
//
//   - Inflating: the body as sent, and the plain one twice, as its buffer grows.
//   - Predicting: the plain body, four times its size in decoded tensors ("0," is an
//     FP64), and the outputs, twice if the request was split into pieces.
//   - Encoding: the outputs, and the answer twice, as its buffer grows.
//
// In addition there are names, shapes and buffers kept from earlier requests, and the last
// sixteenth of the memory, which is kept for small requests.
func leastBodyMemory(h *HTTP, l *Limits) Size {
	const (
		beside = 4 << 20
		unit   = 1 << 20
	)
	plain := max(h.MaxBody, h.MaxInflated)
	predicting, encoding := 5*plain+2*l.MaxResponse, 3*l.MaxResponse // decompressing takes less than predicting
	least := (max(predicting, encoding) + beside) * 16 / 15
	return (least + unit - 1) / unit * unit
}
