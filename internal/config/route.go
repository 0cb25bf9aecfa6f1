package config

import "sluice.io/sluice/api"

// Route is a split of the traffic over versions of one model, as in the file.
type Route struct {
	Model    string         `yaml:"model" default:"\"\"" doc:"The model whose versions serve. Empty: the route's name."`
	Variants []RouteVariant `yaml:"variants" required:"true" doc:"The versions that answer, 1 to 16. Their weights add up to 100%, and at least one is stable."`
	Shadows  []RouteShadow  `yaml:"shadows" default:"[]" doc:"The versions that get copies of requests, at most 4. No caller waits for their answers. A shadow cannot be a variant too."`
	Sticky   Sticky         `yaml:"sticky" doc:"The place in a request of the key that keeps its caller on a version. Without this section the split is random."`
	Fallback api.Fallback   `yaml:"fallback" doc:"The version that answers if a variant cannot: stable (the variant of that role), or a version."`
	Seed     string         `yaml:"seed" default:"\"\"" doc:"Text that is put before each key when it is hashed. Another seed assigns all callers anew. Empty: the route's name. At most 255 bytes."`
	Override RouteOverride  `yaml:"override" doc:"Requests that choose a version by a header."`
}

// RouteVariant is a version and its share of the traffic.
type RouteVariant struct {
	Version VersionRef `yaml:"version" required:"true" doc:"The number of the version, or \"@NAME\" for that of an alias."`
	Weight  Weight     `yaml:"weight" required:"true" min:"0%" max:"100%" doc:"Share of the traffic. With 0% the version gets only overrides."`
	Role    string     `yaml:"role" default:"stable" enum:"stable|canary|control" doc:"stable: the trusted version. canary: the version that is tried out. control: a share of the trusted version, as large as the canary, to compare the canary with."`
}

// VersionRef names a version by its number, or by an alias.
type VersionRef struct {
	Number int64
	Alias  string
}

// RouteShadow is a version that gets copies of requests.
type RouteShadow struct {
	Version VersionRef `yaml:"version" required:"true" doc:"The number of the version, or \"@NAME\" for that of an alias."`
	Sample  Weight     `yaml:"sample" required:"true" min:"0%" max:"100%" doc:"Share of the answered requests that are copied to the shadow."`
}

// Sticky configures the place of the sticky key in a request.
type Sticky struct {
	Header    string `yaml:"header" default:"\"\"" doc:"Name of the HTTP header, or of gRPC metadata, that has the key. Set either this or parameter."`
	Parameter string `yaml:"parameter" default:"\"\"" doc:"Name of the V2 parameter of the request that has the key."`
}

// RouteOverride configures the callers that may pick a version.
type RouteOverride struct {
	Token Secret `yaml:"token" default:"\"\"" doc:"Bearer token of at least 16 bytes: the key of a caller override:ROUTE, which may infer, override and read metadata on this route. Any caller with the action override may use the header Sluice-Override too."`
}

// Document returns the route as a document of the control plane. It is complete except for a seed
// that the file does not have: an existing route keeps its own.
func (r Route) Document(name string) api.Route {
	doc := api.Route{
		Name: name, Model: r.Model, Seed: r.Seed,
		Sticky: api.Sticky(r.Sticky), Fallback: r.Fallback,
	}
	for _, v := range r.Variants {
		doc.Variants = append(doc.Variants, api.Variant{Version: v.Version.Number, Alias: v.Version.Alias, Weight: int(v.Weight), Role: v.Role})
	}
	for _, s := range r.Shadows {
		doc.Shadows = append(doc.Shadows, api.Shadow{Version: s.Version.Number, Alias: s.Version.Alias, Sample: int(s.Sample)})
	}
	doc.Complete()
	doc.Seed = r.Seed
	return doc
}
