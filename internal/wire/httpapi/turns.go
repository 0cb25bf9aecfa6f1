package httpapi

// longText is the size of a text, in bytes, from which reading or writing it is a long computation:
// about 10 ms.
const longText = 1 << 20

// takeTurn waits until the request may start a long computation: decode or encode much JSON,
// decompress or compress much. Long computations leave one core for everything else. Waiting costs
// them nothing, since they would share the cores anyway, but a small request behind a dozen of them
// would wait for a time slice of each. The turn lasts until endTurn. The request must not wait for
// anything while it has the turn.
func (x *exchange) takeTurn() {
	if !x.turn {
		x.srv.turns <- struct{}{}
		x.turn = true
	}
}

func (x *exchange) endTurn() {
	if x.turn {
		<-x.srv.turns
		x.turn = false
	}
}
