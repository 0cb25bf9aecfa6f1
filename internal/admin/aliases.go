package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// AliasControl gives the admin port access to the aliases of versions.
type AliasControl interface {
	// Aliases returns the aliases of a model, sorted by name.
	Aliases(model string) []api.Alias
	// Alias fails with NotFound.
	Alias(model, name string) (api.Alias, error)
	// SetAlias gives an alias a version, or deletes it if that is 0. It fails with Precondition
	// if the alias has another revision than the edit.
	SetAlias(ctx context.Context, model, name string, version int64, edit Edit) (api.AliasResult, error)
}

func (s *Server) aliases(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	return answer(w, s.opts.Aliases.Aliases(r.PathValue("name")))
}

func (s *Server) alias(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	a, err := s.opts.Aliases.Alias(r.PathValue("name"), r.PathValue("alias"))
	if err != nil {
		return err
	}
	setETag(w, a.Revision)
	return answer(w, a)
}

func (s *Server) setAlias(w http.ResponseWriter, r *http.Request, who api.Actor) error {
	edit, err := editOf(r, who)
	if err != nil {
		return err
	}
	version, err := aliasVersion(r)
	if err != nil {
		return err
	}
	return s.moveAlias(w, r, "set alias", version, edit)
}

func (s *Server) deleteAlias(w http.ResponseWriter, r *http.Request, who api.Actor) error {
	edit, err := editOf(r, who)
	if err != nil {
		return err
	}
	return s.moveAlias(w, r, "delete alias", 0, edit)
}

func (s *Server) moveAlias(w http.ResponseWriter, r *http.Request, what string, version int64, edit Edit) error {
	model, name := r.PathValue("name"), r.PathValue("alias")
	result, err := s.opts.Aliases.SetAlias(r.Context(), model, name, version, edit)
	s.logChange(r, edit.By, what, err, zap.String("model", model), zap.String("alias", name), zap.Int64("version", version), zap.Bool("dry_run", edit.DryRun))
	if err != nil {
		return err
	}
	if !edit.DryRun {
		setETag(w, result.Revision)
	}
	return answer(w, result)
}

// aliasVersion reads the body of a change: {"version": 3}. Other fields of an alias are ignored,
// so that the answer of a GET can be sent back.
func aliasVersion(r *http.Request) (int64, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, err
	}
	var doc struct {
		Version  int64           `json:"version"`
		Model    string          `json:"model"`
		Name     string          `json:"name"`
		Revision int64           `json:"revision"`
		History  json.RawMessage `json:"history"`
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	err = dec.Decode(&doc)
	if _, rest := dec.Token(); err != nil || !errors.Is(rest, io.EOF) || doc.Version < 1 {
		return 0, infer.Errorf(infer.Invalid, `the body is not valid: expected {"version": N} with a version of 1 or more`)
	}
	if doc.Name != "" && doc.Name != r.PathValue("alias") || doc.Model != "" && doc.Model != r.PathValue("name") {
		return 0, infer.Errorf(infer.Invalid, "name and model: expected those in the path, or none")
	}
	return doc.Version, nil
}
