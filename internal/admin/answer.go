package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire"
)

// answer writes a document with status 200.
func answer(w http.ResponseWriter, doc any) error {
	return write(w, http.StatusOK, doc)
}

func write(w http.ResponseWriter, status int, doc any) error {
	body, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("admin: encode an answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // fails only if the connection is closed
	return nil
}

// fail answers with an error. The details of an internal error are only in the log, with an
// id that is in the answer too.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	code := infer.CodeOf(err)
	if code == infer.Unauthenticated {
		w.Header().Set("WWW-Authenticate", callers.Challenge(err))
		if errors.Is(err, errEnded) && r.URL.Path == sessionPath { // only here does the browser find the path of the cookie
			setCookie(w, r, "")
		}
	}
	switch code {
	case infer.Internal:
		id := uuid.NewString()
		w.Header().Set("X-Request-Id", id)
		s.log.Error("request failed", zap.String("path", r.URL.Path), zap.String("request_id", id), zap.Error(err))
	case infer.Unauthenticated, infer.Forbidden:
		s.sampled.Warn("request refused", zap.String("method", r.Method), zap.String("path", r.URL.Path), zap.Stringer("code", code),
			zap.String("error", infer.Message(err)), zap.String("remote", r.RemoteAddr))
	default:
	}
	if wire.Retry(code) {
		w.Header().Set("Retry-After", "1")
	}
	status := wire.HTTPStatus(code)
	if errors.Is(err, errNoIfMatch) {
		status = http.StatusPreconditionRequired // wire.HTTPStatus has only one status for each code
	}
	_ = write(w, status, api.Error{Error: infer.Message(err)}) // a string always encodes
}

func (s *Server) wrongMethod(w http.ResponseWriter, r *http.Request, allowed string) {
	w.Header().Set("Allow", allowed)
	_ = write(w, http.StatusMethodNotAllowed, api.Error{
		Error: fmt.Sprintf("method %s is not allowed for this path, use %s", r.Method, allowed),
	})
}
