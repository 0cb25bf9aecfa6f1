package app

import (
	"context"
	"maps"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/mlflow"
	"sluice.io/sluice/internal/publish"
)

// buildPublisher makes the publisher, which continues with the journal's versions.
func (a *App) buildPublisher(cfg *config.Config, fold *publish.Fold) (err error) {
	r := &cfg.Registry
	source, err := newMLflow(r)
	if err != nil {
		return err
	}
	a.publisher, err = publish.New(publish.Options{
		Repository: a.repo, Journal: eventLog{a.journal}, Serving: a.reconcile, Retrainings: a.pipeline, Writable: r.Writable,
		MaxUpload: int64(r.MaxUpload), Quota: int64(r.Quota), MaxUploads: r.MaxUploads,
		CardRequired: r.CardRequired, ImportRoots: r.ImportRoots, MLflow: source, Logger: a.log.Named("registry"),
	}, fold)
	if err != nil {
		return err
	}
	return a.publisher.Catchup()
}

// newMLflow returns the registry that versions are imported from, nil if none is configured.
func newMLflow(r *config.Registry) (*mlflow.Client, error) {
	m := &r.MLflow
	if m.URL == "" {
		return nil, nil //nolint:nilnil // no registry is not an error
	}
	return mlflow.New(mlflow.Options{
		URL: m.URL, Token: m.Token.Reveal(), User: m.User, Password: m.Password.Reveal(), CA: m.CA, Timeout: m.Timeout,
		Hosts: m.AllowedHosts, Roots: r.ImportRoots,
	})
}

// VersionInfos implements admin.VersionControl.
func (c control) VersionInfos(model string) ([]api.VersionInfo, error) {
	return c.app.publisher.Versions(model)
}

// VersionInfo implements admin.VersionControl.
func (c control) VersionInfo(model string, number int64) (api.VersionInfo, error) {
	return c.app.publisher.Version(infer.Version{Model: model, Number: number})
}

// Push implements admin.VersionControl.
func (c control) Push(ctx context.Context, push admin.Push) (api.VersionInfo, bool, error) {
	return c.app.publisher.Push(ctx, publish.Push(push))
}

// DescribeVersion implements admin.VersionControl.
func (c control) DescribeVersion(model string, number, revision int64, change api.VersionPatch, by api.Actor) (api.VersionInfo, error) {
	return c.app.publisher.Describe(infer.Version{Model: model, Number: number}, revision, func(m *api.VersionMetadata) {
		m.Card, m.Tags = maps.Clone(m.Card), maps.Clone(m.Tags) // those of the journal's record stay as they are
		for name, value := range change.Card {
			if value == nil {
				delete(m.Card, name)
				continue
			}
			if m.Card == nil {
				m.Card = map[string]any{}
			}
			m.Card[name] = value
		}
		for name, text := range change.Tags {
			if text == nil {
				delete(m.Tags, name)
				continue
			}
			if m.Tags == nil {
				m.Tags = map[string]string{}
			}
			m.Tags[name] = *text
		}
	}, by)
}

// ArchiveVersion implements admin.VersionControl.
func (c control) ArchiveVersion(ctx context.Context, model string, number int64, by api.Actor) (api.VersionInfo, error) {
	return c.app.publisher.Archive(ctx, infer.Version{Model: model, Number: number}, by)
}

// RestoreVersion implements admin.VersionControl.
func (c control) RestoreVersion(ctx context.Context, model string, number int64, by api.Actor) (api.VersionInfo, error) {
	return c.app.publisher.Restore(ctx, infer.Version{Model: model, Number: number}, by)
}

// DeleteVersion implements admin.VersionControl.
func (c control) DeleteVersion(ctx context.Context, model string, number int64, by api.Actor) error {
	return c.app.publisher.Delete(ctx, infer.Version{Model: model, Number: number}, by)
}

// Aliases implements admin.AliasControl.
func (c control) Aliases(model string) []api.Alias { return c.app.reconcile.Aliases(model) }

// Alias implements admin.AliasControl.
func (c control) Alias(model, name string) (api.Alias, error) {
	return c.app.reconcile.Alias(model, name)
}

// SetAlias implements admin.AliasControl. It makes the change within control.timeout or not at
// all.
func (c control) SetAlias(ctx context.Context, model, name string, version int64, edit admin.Edit) (api.AliasResult, error) {
	limit := c.app.opts.Config.Control.Timeout
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	result, err := c.app.reconcile.SetAlias(ctx, model, name, version, asEdit(edit))
	if infer.CodeOf(err) == infer.Deadline {
		return api.AliasResult{}, infer.Errorf(infer.Unavailable, "the change did not end within control.timeout (%v); nothing was changed", limit)
	}
	return result, err
}
