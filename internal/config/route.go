package config

import "sluice.io/sluice/api"

// Route is a split of the traffic over versions of one model, as the file says it.
type Route struct {
	Model    string         `yaml:"model" default:"\"\"" doc:"The model whose versions serve; empty: the route's name."`
	Variants []RouteVariant `yaml:"variants" required:"true" doc:"The versions that answer, 1 to 16. Their weights add up to 100%, and at least one is stable."`
	Shadows  []RouteShadow  `yaml:"shadows" default:"[]" doc:"The versions that get copies and whose answers nobody waits for, at most 4. None of them is a variant."`
	Sticky   Sticky         `yaml:"sticky" doc:"Where a request bears the key that keeps its caller on a version; without one the split is random."`
	Fallback api.Fallback   `yaml:"fallback" doc:"Who serves instead of a variant that cannot: stable, the variant of that role, or a version."`
	Seed     string         `yaml:"seed" default:"\"\"" doc:"Goes before each key when it is hashed; another one deals all callers anew. Empty: the route's name. At most 255 bytes."`
	Override RouteOverride  `yaml:"override" doc:"Picking a version by a header."`
}

// RouteVariant is a version and its share of the traffic.
type RouteVariant struct {
	Version int64  `yaml:"version" required:"true" min:"1" doc:"The version."`
	Weight  Weight `yaml:"weight" required:"true" min:"0%" max:"100%" doc:"Its share of the traffic; 0% gets nothing but overrides."`
	Role    string `yaml:"role" default:"stable" enum:"stable|canary|control" doc:"stable: what is trusted; canary: what is tried out; control: a slice of the trusted version, as large as the canary, to compare it with."`
}

// RouteShadow is a version that gets copies.
type RouteShadow struct {
	Version int64  `yaml:"version" required:"true" min:"1" doc:"The version."`
	Sample  Weight `yaml:"sample" required:"true" min:"0%" max:"100%" doc:"The share of the answered requests that it gets a copy of."`
}

// Sticky says where a request bears its key.
type Sticky struct {
	Header    string `yaml:"header" default:"\"\"" doc:"The name of an HTTP header, or of gRPC metadata, that bears the key. Either this or parameter."`
	Parameter string `yaml:"parameter" default:"\"\"" doc:"The name of a V2 parameter of the request that bears the key."`
}

// RouteOverride says who may pick a version.
type RouteOverride struct {
	Token Secret `yaml:"token" default:"\"\"" doc:"What a request shows as its bearer token for its header Sluice-Override to count, 16 bytes or more; empty: no request may."`
}

// Document returns the route as the control plane speaks of it, complete but for
// a seed that the file does not say: a route that exists keeps the one it has.
func (r Route) Document(name string) api.Route {
	doc := api.Route{
		Name: name, Model: r.Model, Seed: r.Seed,
		Sticky: api.Sticky(r.Sticky), Fallback: r.Fallback,
	}
	for _, v := range r.Variants {
		doc.Variants = append(doc.Variants, api.Variant{Version: v.Version, Weight: int(v.Weight), Role: v.Role})
	}
	for _, s := range r.Shadows {
		doc.Shadows = append(doc.Shadows, api.Shadow{Version: s.Version, Sample: int(s.Sample)})
	}
	doc.Complete()
	doc.Seed = r.Seed
	return doc
}
