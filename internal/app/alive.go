package app

import (
	"context"
	"encoding/json"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/journal"
)

// heartbeat is how often the journal is told that the gateway is alive. After a kill
// it is as much as is not known of the time of the end.
const heartbeat = 10 * time.Second

// alive writes into the journal when the gateway starts and stops, and that it is
// alive. A journal that cannot be written does not keep the gateway from serving.
type alive struct {
	journal *journal.Log
	before  lastRun // the run before this one
	build   Build
	log     *zap.Logger
}

// started writes that the gateway starts, and how the one before ended. It is called
// before anything is loaded.
func (a alive) started() {
	before := a.lastEnd()
	after, err := json.Marshal(api.GatewayStart{Version: a.build.Version, Revision: a.build.Revision, Before: before})
	if err == nil {
		err = a.append(api.EventGatewayStarted, after)
	}
	if err != nil {
		a.log.Error("the start is not in the journal", zap.Error(err))
		return
	}
	if before != nil && before.How == api.EndKilled {
		a.log.Warn("the gateway before this one did not stop in order", zap.Time("last_alive", before.LastAlive))
	}
}

// stopped writes that the gateway has stopped. Nothing is written after it.
func (a alive) stopped() {
	if err := a.append(api.EventGatewayStopped, nil); err != nil {
		a.log.Error("the stop is not in the journal", zap.Error(err))
	}
}

func (a alive) append(kind string, after json.RawMessage) error {
	_, err := a.journal.Append(journal.Any, api.Event{Type: kind, Subject: api.SubjectGateway, Origin: api.OriginGateway, After: after})
	return err
}

// run tells the journal that the gateway is alive, until ctx ends.
func (a alive) run(ctx context.Context) error {
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for failing := false; ; {
		select {
		case <-ticker.C:
			err := a.journal.Beat(time.Now())
			if err != nil && !failing { // once, not with every beat
				a.log.Error("the journal does not know that the gateway is alive", zap.Error(err))
			}
			failing = err != nil
		case <-ctx.Done():
			return nil
		}
	}
}

// lastEnd returns how the gateway before this one ended, nil if there was none.
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
	default: // an earlier version of this program wrote the last events
	}
	return end
}
