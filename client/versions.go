package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"sluice.io/sluice/api"
)

// PushOptions are what is said of a version that is pushed.
type PushOptions struct {
	// Version is the number. 0 means the next one.
	Version int64
	// Metadata is added to what the archive says. Entries of it replace those of the archive.
	Metadata api.VersionMetadata
	// Digest is the expected digest, "sha256:…". If what arrives has another one, the gateway
	// refuses it. Empty means any.
	Digest string
	// From replaces the body. It is a path of the gateway's machine below a folder of its setting
	// registry.import_roots, or models:/NAME/VERSION or models:/NAME@ALIAS of the MLflow registry
	// in its setting registry.mlflow.
	From string
	// Size is the size of the body. 0 means that it is not known.
	Size int64
	// Reason is why, one line of text.
	Reason string
}

// PushVersion makes a version of a model. body is a model file, or a tar archive of a version's
// folder, also compressed with gzip. It is sent as it is read. If the version exists with the
// same digest, PushVersion returns that one.
func (c *Client) PushVersion(ctx context.Context, model string, body io.Reader, o PushOptions) (info api.VersionInfo, err error) {
	method, target := http.MethodPost, c.modelURL(model)+"/versions"
	if o.Version != 0 {
		method, target = http.MethodPut, c.versionURL(model, o.Version)
	}
	if query := o.query().Encode(); query != "" {
		target += "?" + query
	}
	if o.From != "" {
		body = nil
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return info, err
	}
	if o.Size > 0 && body != nil {
		req.ContentLength = o.Size
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	c.signWith(req, o.Reason)
	err = c.decode(req, &info)
	return info, err
}

func (o *PushOptions) query() url.Values {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	l := &o.Metadata.Lineage
	if l.Parent != 0 {
		q.Set("parent", strconv.FormatInt(l.Parent, 10))
	}
	set("data_snapshot", l.DataSnapshot)
	set("code_revision", l.CodeRevision)
	set("run", l.Run)
	set("source", l.Source)
	set("retrain", l.Retrain)
	set("digest", o.Digest)
	set("from", o.From)
	for name, value := range l.Metrics {
		q.Add("metric", name+"="+strconv.FormatFloat(value, 'g', -1, 64))
	}
	for name, value := range o.Metadata.Tags {
		q.Add("tag", name+"="+value)
	}
	for name, value := range o.Metadata.Card {
		q.Add("card", fmt.Sprintf("%s=%v", name, value))
	}
	return q
}

// Versions returns the versions of a model in the repository, archived ones too.
func (c *Client) Versions(ctx context.Context, model string) (list []api.VersionInfo, err error) {
	err = c.call(ctx, http.MethodGet, c.modelURL(model)+"/versions", true, &list)
	return list, err
}

// Version returns a version in the repository. For an unknown one it returns an Error with
// status 404.
func (c *Client) Version(ctx context.Context, model string, number int64) (info api.VersionInfo, err error) {
	err = c.call(ctx, http.MethodGet, c.versionURL(model, number), true, &info)
	return info, err
}

// DescribeVersion changes entries of the card and the tags of a version.
func (c *Client) DescribeVersion(ctx context.Context, model string, number int64, patch api.VersionPatch, o EditOptions) (info api.VersionInfo, err error) {
	body, err := json.Marshal(patch)
	if err != nil {
		return info, err
	}
	err = c.change(ctx, http.MethodPatch, c.versionURL(model, number), body, o, &info)
	return info, err
}

// ArchiveVersion keeps the files of a version, which cannot be loaded any more. If something
// names the version it returns an Error with status 409.
func (c *Client) ArchiveVersion(ctx context.Context, model string, number int64) (info api.VersionInfo, err error) {
	err = c.call(ctx, http.MethodPost, c.versionURL(model, number)+"/archive", true, &info)
	return info, err
}

// RestoreVersion undoes ArchiveVersion.
func (c *Client) RestoreVersion(ctx context.Context, model string, number int64) (info api.VersionInfo, err error) {
	err = c.call(ctx, http.MethodPost, c.versionURL(model, number)+"/restore", true, &info)
	return info, err
}

// DeleteVersion removes the files of a version. If something names the version it returns an
// Error with status 409.
func (c *Client) DeleteVersion(ctx context.Context, model string, number int64) error {
	return c.call(ctx, http.MethodDelete, c.versionURL(model, number), true, nil)
}

func (c *Client) versionURL(model string, number int64) string {
	return c.modelURL(model) + "/versions/" + strconv.FormatInt(number, 10)
}
