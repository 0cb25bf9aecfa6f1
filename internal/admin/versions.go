package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// VersionControl gives the admin port access to the versions in the repository.
type VersionControl interface {
	// VersionInfos and VersionInfo fail with NotFound.
	VersionInfos(model string) ([]api.VersionInfo, error)
	VersionInfo(model string, number int64) (api.VersionInfo, error)
	// Push makes a version. created is false if it exists with the same digest.
	Push(ctx context.Context, push Push) (info api.VersionInfo, created bool, err error)
	// DescribeVersion changes card and tags, those of a revision or of AnyRevision.
	DescribeVersion(model string, number, revision int64, change api.VersionPatch, by api.Actor) (api.VersionInfo, error)
	ArchiveVersion(ctx context.Context, model string, number int64, by api.Actor) (api.VersionInfo, error)
	RestoreVersion(ctx context.Context, model string, number int64, by api.Actor) (api.VersionInfo, error)
	DeleteVersion(ctx context.Context, model string, number int64, by api.Actor) error
}

// Push is a version to push.
type Push struct {
	Model    string
	Number   int64     // 0 for the next one
	Body     io.Reader // a model file or an archive; nil if From is set
	Size     int64     // of the body, negative if it is not known
	From     string    // a path of the gateway's machine, or models:/NAME/VERSION or models:/NAME@ALIAS of an MLflow registry
	Digest   string    // the expected one
	Metadata api.VersionMetadata
	By       api.Actor
}

func (s *Server) versionsOf(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	list, err := s.opts.Versions.VersionInfos(r.PathValue("name"))
	if err != nil {
		return err
	}
	return answer(w, list)
}

func (s *Server) version(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	number, err := numberOf(r)
	if err != nil {
		return err
	}
	info, err := s.opts.Versions.VersionInfo(r.PathValue("name"), number)
	if err != nil {
		return err
	}
	return s.answerVersion(w, http.StatusOK, info)
}

// answerVersion answers with a version, and the revision of its description.
func (s *Server) answerVersion(w http.ResponseWriter, status int, info api.VersionInfo) error {
	if info.Record != nil {
		setETag(w, info.Record.Revision)
	}
	return write(w, status, info)
}

// describeVersion changes the card and the tags of a version, with a JSON merge patch.
func (s *Server) describeVersion(w http.ResponseWriter, r *http.Request, who api.Actor) error {
	number, err := numberOf(r)
	if err != nil {
		return err
	}
	revision, err := ifMatch(r.Header.Values("If-Match"))
	if err != nil {
		return err
	}
	var change api.VersionPatch
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	err = dec.Decode(&change)
	if _, rest := dec.Token(); err != nil || !errors.Is(rest, io.EOF) || len(change.Card)+len(change.Tags) == 0 {
		return infer.Errorf(infer.Invalid, `the body is not valid: expected {"tags": {"NAME": "TEXT"}, "card": {"FIELD": VALUE}} with one entry or more; null removes an entry`)
	}
	name := r.PathValue("name")
	info, err := s.opts.Versions.DescribeVersion(name, number, revision, change, who)
	s.logChange(r, who, "describe version", err, zap.String("model", name), zap.Int64("version", number))
	if err != nil {
		return err
	}
	return s.answerVersion(w, http.StatusOK, info)
}

func numberOf(r *http.Request) (int64, error) {
	number, ok := infer.ParseVersion(r.PathValue("version"))
	if !ok {
		return 0, infer.Errorf(infer.Invalid, "'%.40s' is not a valid version: expected a number of 1 or more", r.PathValue("version"))
	}
	return number, nil
}

// pushNext pushes a version with the next number.
func (s *Server) pushNext(w http.ResponseWriter, r *http.Request, who api.Actor) error {
	return s.push(w, r, 0, who)
}

func (s *Server) pushVersion(w http.ResponseWriter, r *http.Request, who api.Actor) error {
	number, err := numberOf(r)
	if err != nil {
		return err
	}
	return s.push(w, r, number, who)
}

func (s *Server) push(w http.ResponseWriter, r *http.Request, number int64, who api.Actor) (err error) {
	push := Push{Model: r.PathValue("name"), Number: number, Size: r.ContentLength, By: who}
	defer func() {
		s.logChange(r, who, "push", err, zap.String("model", push.Model), zap.Int64("version", push.Number))
		if err != nil {
			w.Header().Set("Connection", "close") // the rest of the body is not read
		}
	}()
	if err := pushQuery(r, &push); err != nil {
		return err
	}
	if err := trainerPush(r, &push); err != nil {
		return err
	}
	switch {
	case push.From == "":
		push.Body = &arriving{body: r.Body, conn: http.NewResponseController(w)}
	case r.Body != http.NoBody:
		return infer.Errorf(infer.Invalid, "from: the request has a body too; expected one of the two")
	}
	ctx, cancel := r.Context(), func() {}
	if push.From != "" { // nobody waits for a body that arrives
		ctx, cancel = s.untilStop(ctx)
	}
	defer cancel()
	info, created, err := s.opts.Versions.Push(ctx, push)
	if err != nil {
		return err
	}
	push.Number = info.Version
	if err := http.NewResponseController(w).SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
		w.Header().Set("Location", "/api/v1/models/"+url.PathEscape(info.Model)+"/versions/"+strconv.FormatInt(info.Version, 10))
	}
	return s.answerVersion(w, status, info)
}

// pushQuery reads the metadata of a push. All parameters but the last ones are given once.
func pushQuery(r *http.Request, push *Push) error {
	once := []string{"parent", "data_snapshot", "code_revision", "run", "source", "retrain", "from", "digest"}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return infer.Errorf(infer.Invalid, "the query of the URL, after '?', is not valid: %v", err)
	}
	m := &push.Metadata
	for name, values := range query {
		switch {
		case slices.Contains(once, name):
			if len(values) > 1 {
				return infer.Errorf(infer.Invalid, "%s is given %d times, expected once", name, len(values))
			}
		case name == "metric", name == "tag", name == "card":
			for _, entry := range values {
				if err := addEntry(m, name, entry); err != nil {
					return err
				}
			}
		default:
			return infer.Errorf(infer.Invalid, "%.40s: unknown parameter; expected %s, metric, tag or card", name, strings.Join(once, ", "))
		}
	}
	if text := query.Get("parent"); text != "" {
		var ok bool
		if m.Lineage.Parent, ok = infer.ParseVersion(text); !ok {
			return infer.Errorf(infer.Invalid, "parent: expected a version of 1 or more, got '%.40s'", text)
		}
	}
	m.Lineage.DataSnapshot, m.Lineage.CodeRevision = query.Get("data_snapshot"), query.Get("code_revision")
	m.Lineage.Run, m.Lineage.Source = query.Get("run"), query.Get("source")
	m.Lineage.Retrain = query.Get("retrain")
	push.From, push.Digest = query.Get("from"), query.Get("digest")
	return nil
}

// addEntry adds NAME=VALUE to the metrics, the tags or the card.
func addEntry(m *api.VersionMetadata, kind, entry string) error {
	name, value, ok := strings.Cut(entry, "=")
	if !ok || name == "" {
		return infer.Errorf(infer.Invalid, "%s: expected NAME=VALUE, got '%.40s'", kind, entry)
	}
	switch kind {
	case "metric":
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return infer.Errorf(infer.Invalid, "metric: expected NAME=NUMBER, got '%.40s'", entry)
		}
		m.Lineage.Metrics = with(m.Lineage.Metrics, name, number)
	case "tag":
		m.Tags = with(m.Tags, name, value)
	default:
		m.Card = with(m.Card, name, any(value))
	}
	return nil
}

func with[V any](m map[string]V, name string, value V) map[string]V {
	if m == nil {
		m = map[string]V{}
	}
	m[name] = value
	return m
}

// arriving is the body of an upload. Each part of it must arrive in time.
type arriving struct {
	body io.Reader
	conn *http.ResponseController
}

// stalled is the max time without a byte of an upload.
const stalled = 30 * time.Second

// Read implements io.Reader.
func (a *arriving) Read(p []byte) (int, error) {
	if err := a.conn.SetReadDeadline(time.Now().Add(stalled)); err != nil {
		return 0, err
	}
	return a.body.Read(p)
}

func (s *Server) archiveVersion(w http.ResponseWriter, r *http.Request, who api.Actor) error {
	return s.moveVersion(w, r, who, "archive", s.opts.Versions.ArchiveVersion)
}

func (s *Server) restoreVersion(w http.ResponseWriter, r *http.Request, who api.Actor) error {
	return s.moveVersion(w, r, who, "restore", s.opts.Versions.RestoreVersion)
}

func (s *Server) moveVersion(w http.ResponseWriter, r *http.Request, who api.Actor, what string,
	move func(context.Context, string, int64, api.Actor) (api.VersionInfo, error),
) error {
	number, err := numberOf(r)
	if err != nil {
		return err
	}
	name := r.PathValue("name")
	info, err := move(r.Context(), name, number, who)
	s.logChange(r, who, what, err, zap.String("model", name), zap.Int64("version", number))
	if err != nil {
		return err
	}
	return s.answerVersion(w, http.StatusOK, info)
}

func (s *Server) deleteVersion(w http.ResponseWriter, r *http.Request, who api.Actor) error {
	number, err := numberOf(r)
	if err != nil {
		return err
	}
	name := r.PathValue("name")
	err = s.opts.Versions.DeleteVersion(r.Context(), name, number, who)
	s.logChange(r, who, "delete version", err, zap.String("model", name), zap.Int64("version", number))
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
