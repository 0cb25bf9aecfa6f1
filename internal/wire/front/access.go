package front

import (
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
)

// Authorize returns the caller of a request if it may use an endpoint, on the model that the request
// names. The caller is nil if the endpoint is open. Errors are Unauthenticated and Forbidden, and do
// not depend on whether the model exists.
//
// The default rights of Anonymous include Admin for the admin port, which checks where a request
// comes from. On the data plane anyone could otherwise turn the log off.
func (f *Front) Authorize(shown callers.Credentials, need callers.Need, model string) (*callers.Caller, error) {
	book := f.callers.Load()
	c, err := book.Authorize(shown, need, model)
	if err == nil && c != nil && c.IsAnonymous() && need.Action == callers.Admin && book.ImpliesAnonymous() {
		err = infer.Errorf(infer.Unauthenticated, "this request needs the key of a caller who may administer: give one the action 'admin' in the configuration, or use one of admin.tokens")
	}
	return c, err
}

// Admit counts a request of an authorized caller against its limits. From now on the reservation's
// bytes count for them too. model is "" if the request names none. Errors are Overloaded and TooLarge.
func (f *Front) Admit(caller *callers.Caller, model string, now time.Time, r *Reservation) error {
	if caller == nil {
		return nil
	}
	pass, err := caller.Admit(model, now)
	if err != nil {
		return err
	}
	return r.charge(pass)
}

// Visible returns the models of an index whose metadata the caller may read.
func Visible(models []api.ModelStatus, caller *callers.Caller) []api.ModelStatus {
	if caller.CanEverywhere(callers.Metadata) {
		return models
	}
	list := make([]api.ModelStatus, 0, len(models))
	for i := range models {
		if caller.Can(callers.Metadata, models[i].Name) {
			list = append(list, models[i])
		}
	}
	return list
}

// AdmitRows counts the rows of a decoded request against the limits of its caller. Errors are
// Overloaded and TooLarge.
func (r *Reservation) AdmitRows(req *infer.Request) error { return r.pass.Rows(req.Rows()) }
