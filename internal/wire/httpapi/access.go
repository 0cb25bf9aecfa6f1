package httpapi

import (
	"slices"
	"strconv"

	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/wire/front"
)

// authorize checks, before anything is looked up or read, that the caller may use the endpoint, and
// that its limits admit the request.
func (x *exchange) authorize() (err error) {
	t := &x.target
	if t.model != "" {
		if err := front.CheckName(t.model); err != nil {
			return err
		}
	}
	need := needs[t.endpoint].Need
	if t.endpoint.isSetting() && x.ctx.IsPost() {
		need = changes[0].Need // it is the same for all
	}
	if err := x.checkHost(need); err != nil {
		return err
	}
	x.caller, err = x.srv.front.Authorize(x.credentials(), need, t.model)
	if err != nil {
		return err
	}
	if err := x.checkPage(); err != nil {
		return err
	}
	if t.endpoint == endpointInvocations {
		if err := x.findDefault(); err != nil {
			return err
		}
	}
	if x.header.override != nil && t.endpoint.isInference() {
		if err := front.CheckOverride(x.header.override); err != nil {
			return err
		}
		if t.version == 0 && t.label == "" { // else the header has no effect
			if err := x.caller.May(callers.Override, t.model); err != nil {
				return err
			}
		}
	}
	return x.srv.front.Admit(x.caller, t.model, x.arrived, &x.memory)
}

func (x *exchange) credentials() callers.Credentials {
	return callers.Credentials{Authorization: x.header.authorization, Names: x.conn.names, Remote: x.ctx.RemoteAddr()}
}

// findDefault finds the model of a path without a name. Its name, and whether there is one, is only
// for callers that may infer on it.
func (x *exchange) findDefault() error {
	name, err := x.srv.front.DefaultModel()
	if may := x.caller.MayDefault(callers.Infer, name); may != nil {
		return may
	}
	x.target.model = name
	return err
}

// findLabel finds the version of a path with a label, which is an alias of the model.
func (x *exchange) findLabel() (err error) {
	if x.target.label != "" {
		x.target.version, err = x.srv.front.Labelled(x.target.model, x.target.label)
	}
	return err
}

// Endpoints returns the endpoints, and what each needs of its callers.
func Endpoints() []callers.Endpoint { return slices.Concat(needs[noEndpoint+1:], changes[:]) }

// checkNeeds panics if an endpoint has no entry in the table.
func checkNeeds() {
	for e := noEndpoint + 1; e < numEndpoints; e++ {
		if needs[e].Scope == callers.Undeclared {
			panic("BUG: endpoint " + strconv.Itoa(int(e)) + " is not in the table of needs")
		}
	}
}
