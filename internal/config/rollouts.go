package config

import "time"

// Rollouts is what a rollout of a model needs.
type Rollouts struct {
	Approvals      int           `yaml:"approvals" default:"0" min:"0" max:"10" doc:"Number of people who must approve a rollout before the version gets requests. The one who has started it is not one of them."`
	Approvers      []string      `yaml:"approvers" default:"[]" doc:"Groups of callers whose members may approve. Empty: every caller with the action approve."`
	ApprovalExpiry time.Duration `yaml:"approval_expiry" default:"24h" min:"1s" max:"8760h" doc:"Time after which a rollout that waits for approvals ends."`
}
