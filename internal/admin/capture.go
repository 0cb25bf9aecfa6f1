package admin

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
)

func (s *Server) captured(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	list, err := s.opts.Capture.Captured(r.Context())
	if err != nil {
		return err
	}
	return answer(w, visible(r, callers.Capture, list, func(c *api.Captured) string { return c.Model }))
}

// captureFiles answers with the files of one model.
func (s *Server) captureFiles(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	query, err := queryOf(r, "since", "until", "version")
	if err != nil {
		return err
	}
	of, err := captureRange(query)
	if err != nil {
		return err
	}
	files, err := s.opts.Capture.CaptureFiles(r.Context(), r.PathValue("model"), of)
	if err != nil {
		return err
	}
	return answer(w, append([]api.CaptureFile{}, files...)) // [] instead of null
}

// exportCapture answers with the rows of a model. An error after the first byte cuts the answer off,
// so that nobody takes it for whole. The trailers say what the answer has.
func (s *Server) exportCapture(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	query, err := queryOf(r, "since", "until", "version", "format", "labels")
	if err != nil {
		return err
	}
	of := api.CaptureRead{Format: cmp.Or(query.Get("format"), api.CaptureJSONL)}
	if of.CaptureRange, err = captureRange(query); err != nil {
		return err
	}
	if err := s.trainerRange(r, &of.CaptureRange); err != nil {
		return err
	}
	if of.Labels, err = boolOf(query, "labels"); err != nil {
		return err
	}
	mediaType, err := exportType(of.Format)
	if err != nil {
		return err
	}
	who, err := actorOf(r, callerOf(r)) // who reads is written to the journal, as who changes something is
	if err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		return nil
	}
	out := &lateWriter{w: w, mediaType: mediaType}
	done, err := s.opts.Capture.ExportCapture(r.Context(), r.PathValue("model"), of, out, who)
	switch {
	case err != nil && !out.begun:
		return err
	case err != nil:
		s.log.Error("an export of captured requests is incomplete", zap.String("model", r.PathValue("model")), zap.Error(err))
		panic(http.ErrAbortHandler)
	}
	out.begin()
	h := w.Header()
	h.Set(api.CaptureRowsHeader, strconv.FormatInt(done.Rows, 10))
	h.Set(api.CaptureReadHeader, strconv.Itoa(done.Files))
	h.Set(api.CaptureSkippedHeader, strconv.Itoa(done.Skipped))
	h.Set(api.CaptureSkippedFilesHeader, strings.Join(done.SkippedFiles, ", ")) // paths have no commas
	return nil
}

func exportType(format string) (mediaType string, err error) {
	switch format {
	case api.CaptureJSONL:
		return "application/jsonl", nil
	case api.CaptureCSV:
		return "text/csv; charset=utf-8; header=present", nil
	case api.CaptureParquet:
		return "application/vnd.apache.parquet", nil
	case api.CaptureTar:
		return "application/x-tar", nil
	default:
		return "", infer.Errorf(infer.Invalid, "format: expected %s, got '%.40s'", strings.Join(api.CaptureFormats(), ", "), format)
	}
}

// deleteCaptured removes a request of a model.
func (s *Server) deleteCaptured(w http.ResponseWriter, r *http.Request, by api.Actor) error {
	query, err := queryOf(r, "request_id")
	if err != nil {
		return err
	}
	id := query.Get("request_id")
	if id == "" {
		return infer.Errorf(infer.Invalid, "request_id: expected the id of a request, as in the column request_id")
	}
	done, err := s.opts.Capture.DeleteCaptured(r.Context(), r.PathValue("model"), id, by)
	if err != nil {
		return err
	}
	return answer(w, done)
}

// lateWriter begins an answer with its first byte.
type lateWriter struct {
	w         http.ResponseWriter
	mediaType string
	begun     bool
}

func (l *lateWriter) begin() {
	if l.begun {
		return
	}
	l.begun = true
	h := l.w.Header()
	h.Set("Content-Type", l.mediaType)
	h.Set("Trailer", strings.Join([]string{api.CaptureRowsHeader, api.CaptureReadHeader, api.CaptureSkippedHeader, api.CaptureSkippedFilesHeader}, ", "))
	l.w.WriteHeader(http.StatusOK)
}

// Write implements io.Writer.
func (l *lateWriter) Write(b []byte) (int, error) {
	l.begin()
	return l.w.Write(b)
}

func captureRange(query url.Values) (of api.CaptureRange, err error) {
	if of.Since, err = timeOf(query, "since"); err != nil {
		return of, err
	}
	if of.Until, err = timeOf(query, "until"); err != nil {
		return of, err
	}
	if text := query["version"]; text != nil {
		version, ok := infer.ParseVersion(text[0])
		if of.Version = version; !ok {
			return of, infer.Errorf(infer.Invalid, "version: expected the number of a version, got '%.40s'", text[0])
		}
	}
	return of, nil
}
