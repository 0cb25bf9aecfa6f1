package httpapi

// longText is how much text makes it a long computation: some 10 ms.
const longText = 1 << 20

// takeTurn waits until the request may compute for long: read or write much JSON,
// inflate or compress much. Long computations together leave a core to everybody
// else: nothing is lost by waiting, since they would share the cores anyway, and a
// small request behind a dozen of them would wait for a time slice of each. The turn
// lasts until endTurn, and must not be kept while anything is waited for.
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
