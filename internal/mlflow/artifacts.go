package mlflow

import (
	"context"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"sluice.io/sluice/internal/infer"
)

// proxied is the path of a server's artifacts, after that of the server.
const proxied = "/api/2.0/mlflow-artifacts/artifacts"

// files are the artifacts of a version. Paths are local and have slashes.
type files struct {
	// open returns a file and its size, negative if it is not known.
	open func(ctx context.Context, name string) (io.ReadCloser, int64, error)
	// list returns the names of the plain files at the top.
	list  func(ctx context.Context) ([]string, error)
	close func() error
}

// artifacts finds the place of a version's artifacts.
func (c *Client) artifacts(ctx context.Context, ref Reference) (files, error) {
	text, err := c.place(ctx, ref)
	if err != nil {
		return files{}, err
	}
	at, err := url.Parse(text)
	if err != nil || text == "" || slices.Contains(strings.Split(at.Path, "/"), "..") {
		return files{}, strange("it says that the artifacts of %s are at %s, which is not a valid address", ref, quote(text))
	}
	switch at.Scheme {
	case "mlflow-artifacts":
		return c.remote(at, strings.Trim(at.Path, "/"))
	case "http", "https":
		prefix, name, ok := strings.Cut(at.Path, proxied+"/")
		if ok && (at.Host != c.base.Host || prefix == c.base.Path) {
			return c.remote(at, strings.Trim(name, "/"))
		}
	case "file", "":
		if at.Host == "" {
			return c.folder(filepath.FromSlash(at.Path))
		}
	}
	return files{}, infer.Errorf(infer.Invalid, "the artifacts of %s are at %s, which the gateway does not read: it reads artifacts that the MLflow server "+
		"serves (mlflow server --serve-artifacts, with an artifact root of mlflow-artifacts:/), and folders in registry.import_roots", ref, quote(at.Scheme+"://"+at.Host))
}

// remote returns the files below a folder of a server's artifacts.
func (c *Client) remote(at *url.URL, folder string) (files, error) {
	server := *c.base
	if at.Host != "" && at.Host != c.base.Host {
		if !slices.Contains(c.opts.Hosts, at.Host) && !slices.Contains(c.opts.Hosts, at.Hostname()) {
			return files{}, infer.Errorf(infer.Invalid, "the artifacts are on the host %s, which registry.mlflow.allowed_hosts does not name", quote(at.Host))
		}
		server.Host, server.Path = at.Host, ""
		if at.Scheme != "mlflow-artifacts" {
			server.Scheme = at.Scheme
			server.Path, _, _ = strings.Cut(at.Path, proxied)
		}
	}
	return files{
		open: func(ctx context.Context, name string) (io.ReadCloser, int64, error) {
			u := server
			u.Path += proxied + "/" + path.Join(folder, name)
			body, size, err := c.get(ctx, &u)
			if err != nil {
				return nil, 0, err // a nil *body would be a reader
			}
			return body, size, nil
		},
		list:  func(ctx context.Context) ([]string, error) { return c.listed(ctx, &server, folder) },
		close: func() error { return nil },
	}, nil
}

// listed asks a server for the plain files of a folder.
func (c *Client) listed(ctx context.Context, server *url.URL, folder string) (names []string, err error) {
	var answer struct {
		Files []struct {
			Path  string `json:"path"`
			IsDir bool   `json:"is_dir"`
		} `json:"files"`
	}
	u := *server
	u.Path += proxied
	u.RawQuery = url.Values{"path": {folder}}.Encode()
	if err := c.decode(ctx, &u, &answer); err != nil {
		return nil, err
	}
	for _, f := range answer.Files {
		if !fs.ValidPath(f.Path) || strings.Contains(f.Path, "/") {
			return nil, strange("it lists the artifact %s, which is not a name of a file", quote(f.Path))
		}
		if !f.IsDir {
			names = append(names, f.Path)
		}
	}
	return names, nil
}

// folder returns the files of a folder of this machine, below one of Options.Roots.
func (c *Client) folder(at string) (files, error) {
	for _, dir := range c.opts.Roots {
		rel, err := filepath.Rel(dir, at)
		if err != nil || !filepath.IsAbs(at) || !filepath.IsLocal(rel) {
			continue
		}
		top, err := os.OpenRoot(dir)
		if err != nil {
			return files{}, &infer.Error{Code: infer.Unavailable, Msg: "a folder of registry.import_roots cannot be opened", Err: err}
		}
		root, err := top.OpenRoot(rel)
		_ = top.Close()
		if err != nil {
			return files{}, &infer.Error{Code: infer.Invalid, Msg: "the folder of the artifacts cannot be read, or leads out of the folder of registry.import_roots", Err: err}
		}
		return local(root), nil
	}
	return files{}, infer.Errorf(infer.Invalid, "the artifacts are in a folder that is not below one of registry.import_roots: let the MLflow server serve its artifacts "+
		"(mlflow server --serve-artifacts, with an artifact root of mlflow-artifacts:/), or add the folder there")
}

// local returns the files of a folder.
func local(root *os.Root) files {
	return files{
		open: func(_ context.Context, name string) (io.ReadCloser, int64, error) {
			info, err := root.Lstat(name)
			if err != nil || !info.Mode().IsRegular() { // opening a pipe would block for ever
				return nil, 0, &infer.Error{Code: infer.Invalid, Msg: "the artifact " + quote(name) + " is missing, or is not a plain file", Err: err}
			}
			file, err := root.Open(name)
			if err != nil {
				return nil, 0, &infer.Error{Code: infer.Invalid, Msg: "the artifact " + quote(name) + " cannot be read", Err: err}
			}
			return file, info.Size(), nil
		},
		list: func(context.Context) (names []string, err error) {
			entries, err := fs.ReadDir(root.FS(), ".")
			for _, e := range entries {
				if e.Type().IsRegular() {
					names = append(names, e.Name())
				}
			}
			return names, err
		},
		close: root.Close,
	}
}
