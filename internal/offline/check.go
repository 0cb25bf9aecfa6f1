package offline

import (
	"errors"
	"io/fs"
	"maps"
	"slices"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/driftwatch"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/registry"
)

// CheckFiles checks a configuration against its files: the profiles, and the models and versions of
// the repository. The problems are in the order of the file. lookedAt is false if the repository
// does not exist, for example because it is mounted later.
func CheckFiles(cfg *config.Config, places *config.Places) (problems config.Problems, lookedAt bool, err error) {
	for model, err := range driftwatch.CheckProfiles(cfg) {
		problems = append(problems, places.Problem(config.Path("models", model, "drift", "profile"), "%s", infer.Message(err)))
	}
	repo, err := registry.OpenRepository(cfg.Repository.Path, onnxfile.DataFiles)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		problems.Sort()
		return problems, false, nil
	case err != nil:
		return nil, false, err
	}
	listing, err := repo.Scan()
	if err = errors.Join(err, repo.Close()); err != nil {
		return nil, false, err
	}
	c := repositoryCheck{places: places, models: map[string]registry.Found{}, problems: problems}
	for _, f := range listing.Models {
		c.models[f.Name] = f
	}
	for _, w := range listing.Warnings {
		c.add(config.Path("repository", "path"), "%s", w)
	}
	c.named(cfg)
	c.routes(cfg)
	c.problems.Sort()
	return c.problems, true, nil
}

// repositoryCheck looks up names of a configuration in a repository.
type repositoryCheck struct {
	places   *config.Places
	models   map[string]registry.Found
	problems config.Problems
}

func (c *repositoryCheck) add(path, format string, args ...any) {
	c.problems = append(c.problems, c.places.Problem(path, format, args...))
}

// named checks the models under repository.load and models, and their versions.
func (c *repositoryCheck) named(cfg *config.Config) {
	for i, name := range cfg.Repository.Load {
		if name != "*" {
			c.model(config.Item(config.Path("repository", "load"), i), name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Models)) {
		path := config.Path("models", name)
		if !c.model(path, name) {
			continue
		}
		for i, n := range cfg.Models[name].Versions.Numbers {
			c.version(config.Item(path+".versions", i), name, n)
		}
	}
}

func (c *repositoryCheck) routes(cfg *config.Config) {
	for _, name := range slices.Sorted(maps.Keys(cfg.Routes)) {
		path, route := config.Path("routes", name), cfg.Routes[name].Document(name)
		if !c.model(path+".model", route.Model) {
			continue
		}
		for i, v := range route.Variants {
			c.version(config.Item(path+".variants", i)+".version", route.Model, v.Version)
		}
		for i, s := range route.Shadows {
			c.version(config.Item(path+".shadows", i)+".version", route.Model, s.Version)
		}
		if n := route.Fallback.Version; n != 0 {
			c.version(path+".fallback", route.Model, n)
		}
	}
}

// model reports whether the repository has a model, and adds a problem if not.
func (c *repositoryCheck) model(path, name string) bool {
	_, ok := c.models[name]
	if !ok {
		c.add(path, "the repository has no model '%s'%s", name, config.DidYouMean(name, slices.Sorted(maps.Keys(c.models))))
	}
	return ok
}

func (c *repositoryCheck) version(path, model string, n int64) {
	found := c.models[model].Versions
	switch i := slices.IndexFunc(found, func(v registry.FoundVersion) bool { return v.Number == n }); {
	case n == 0: // an alias, which only a gateway knows
	case i < 0:
		c.add(path, "the repository has no version %d of model '%s'", n, model)
	case found[i].Err != nil:
		c.add(path, "version %d of model '%s' cannot be loaded: %s", n, model, infer.Message(found[i].Err))
	}
}
