package admin

import (
	"context"
	"net/http"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
)

// Console has the files of the console: the page at "/", and its assets.
type Console interface {
	// Has reports whether a path of a URL has a file.
	Has(path string) bool
	// ServeHTTP answers with a file. It sets its own Content-Security-Policy and Cache-Control.
	http.Handler
}

// console answers with a file of the console. These have no data of the gateway, so everyone may read them.
func (s *Server) console(w http.ResponseWriter, r *http.Request, who api.Actor) error {
	if !s.opts.Console.Has(r.URL.Path) {
		return notFound(w, r, who)
	}
	s.opts.Console.ServeHTTP(w, r)
	return nil
}

// healthy answers as long as the process runs.
func (s *Server) healthy(w http.ResponseWriter, _ *http.Request, _ api.Actor) error {
	return answer(w, struct {
		Healthy bool `json:"healthy"`
	}{true})
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request, _ api.Actor) error {
	if err := s.opts.Control.Ready(); err != nil {
		return err
	}
	return answer(w, struct {
		Ready bool `json:"ready"`
	}{true})
}

func (s *Server) status(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	doc := s.opts.Control.Status()
	if !callerOf(r).CanEverywhere(callers.Metadata) {
		doc.RepositoryWarnings = nil // they name models
	}
	return answer(w, doc)
}

func (s *Server) config(w http.ResponseWriter, _ *http.Request, _ api.Actor) error {
	return answer(w, s.opts.Control.Config())
}

func (s *Server) models(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	return answer(w, visible(r, callers.Metadata, s.opts.Control.Models(), func(m *api.ModelStatus) string { return m.Name }))
}

func (s *Server) model(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	name := r.PathValue("name")
	versions := s.versions(name)
	if len(versions) == 0 {
		return infer.Errorf(infer.NotFound, "there is no model '%s'", name)
	}
	return answer(w, versions)
}

func (s *Server) versions(name string) []api.ModelStatus {
	versions := []api.ModelStatus{}
	for _, m := range s.opts.Control.Models() {
		if m.Name == name {
			versions = append(versions, m)
		}
	}
	return versions
}

func (s *Server) reload(w http.ResponseWriter, r *http.Request, who api.Actor) error {
	result, err := s.opts.Control.Reload(r.Context(), who)
	s.logChange(r, who, "reload", err)
	if err != nil {
		return err
	}
	return answer(w, result)
}

func (s *Server) load(w http.ResponseWriter, r *http.Request, who api.Actor) error {
	return s.change(w, r, who, "load", s.opts.Control.Load)
}

func (s *Server) unload(w http.ResponseWriter, r *http.Request, who api.Actor) error {
	return s.change(w, r, who, "unload", s.opts.Control.Unload)
}

// change loads or unloads a model and answers with its versions after that.
func (s *Server) change(w http.ResponseWriter, r *http.Request, who api.Actor, what string, do func(context.Context, string, api.Actor) error) error {
	name := r.PathValue("name")
	if !infer.ValidName(name) {
		return infer.Errorf(infer.Invalid, "'%s' is not a valid name for a model", name)
	}
	err := do(r.Context(), name, who)
	s.logChange(r, who, what, err, zap.String("model", name))
	if err != nil {
		return err
	}
	return answer(w, s.versions(name))
}

// logChange logs a change, with its actor and reason.
func (s *Server) logChange(r *http.Request, who api.Actor, what string, err error, fields ...zap.Field) {
	if err != nil {
		fields = append(fields, zap.String("error", infer.Message(err)))
	}
	s.log.Info(what, append(fields,
		zap.String("actor", who.Actor), zap.Bool("actor_verified", who.Verified),
		zap.String("reason", who.Reason), zap.Stringer("code", infer.CodeOf(err)),
		zap.String("remote", r.RemoteAddr))...)
}
