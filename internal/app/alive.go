package app

import (
	"context"
	"encoding/json"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/journal"
)

// heartbeat is how often the gateway writes into the journal that it is alive. After a kill the
// time of the end is known to that precision.
const heartbeat = 10 * time.Second

// alive writes the starts and stops of the gateway into the journal, and that it is alive. The
// gateway serves even if the journal cannot be written.
type alive struct {
	journal *journal.Log
	before  lastRun // the run before this one
	build   Build
	log     *zap.Logger
}

// started writes that the gateway starts, and how the previous run ended. It must be called
// before anything is loaded.
func (a alive) started() {
	before := a.lastEnd()
	after, err := json.Marshal(api.GatewayStart{Version: a.build.Version, Revision: a.build.Revision, Before: before})
	if err == nil {
		err = a.append(api.EventGatewayStarted, after)
	}
	if err != nil {
		a.log.Error("the start could not be written to the journal", zap.Error(err))
		return
	}
	if before != nil && before.How == api.EndKilled {
		a.log.Warn("the previous run of the gateway was killed or crashed", zap.Time("last_alive", before.LastAlive))
	}
}

// stopped writes that the gateway has stopped. It must be the last write.
func (a alive) stopped() {
	if err := a.append(api.EventGatewayStopped, nil); err != nil {
		a.log.Error("the stop could not be written to the journal", zap.Error(err))
	}
}

func (a alive) append(kind string, after json.RawMessage) error {
	_, err := a.journal.Append(journal.Any, api.Event{Type: kind, Subject: api.SubjectGateway, Origin: api.OriginGateway, After: after})
	return err
}

// run writes to the journal that the gateway is alive, until ctx ends.
func (a alive) run(ctx context.Context) error {
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for failing := false; ; {
		select {
		case <-ticker.C:
			err := a.journal.Beat(time.Now())
			if err != nil && !failing { // only the first failure, not every one
				a.log.Error("the heartbeat could not be written to the journal", zap.Error(err))
			}
			failing = err != nil
		case <-ctx.Done():
			return nil
		}
	}
}

// lastEnd returns how the previous run of the gateway ended, nil if there was none.
func (a alive) lastEnd() *api.GatewayEnd {
	if a.before.Last == 0 {
		return nil
	}
	end := &api.GatewayEnd{How: api.EndUnknown, LastAlive: a.before.At}
	switch {
	case a.before.Turn == api.EventGatewayStopped && a.before.TurnSeq == a.before.Last:
		end.How = api.EndStopped
	case a.before.Turn == api.EventGatewayStarted:
		end.How = api.EndKilled
		if beat := a.journal.LastBeat(); beat.After(end.LastAlive) {
			end.LastAlive = beat
		}
	default: // an older version of this program wrote the last events
	}
	return end
}
