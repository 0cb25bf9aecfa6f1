package main

import (
	"github.com/spf13/cobra"
)

func newModelsImport(conn *connection, out *output) *cobra.Command {
	p := &pushFlags{conn: conn, out: out}
	cmd := &cobra.Command{
		Use:   "import MODEL REFERENCE",
		Short: "Import a version of a model from an MLflow registry",
		Long: `Import a version of a model from the MLflow server in the gateway's setting registry.mlflow.
REFERENCE is models:/NAME/VERSION or models:/NAME@ALIAS. The gateway fetches the files, and notes run,
metrics, parameters and tags of MLflow as the lineage. Flags replace what MLflow says.

The version must have been logged with mlflow.onnx.log_model. It gets the next number of the model, and
does not serve because it is the newest: name it in a route or an alias.`,
		Example: `  gateway models import iris models:/iris/3
  gateway models import iris models:/iris@champion --tag team=flowers`,
		Args: func(cmd *cobra.Command, args []string) error {
			if want := 2; len(args) != want {
				return usageError{"expected a model and a reference: " + cmd.CommandPath() + " iris models:/iris/3"}
			}
			p.from = args[1]
			return nil
		},
		RunE: p.run,
	}
	p.describing(cmd)
	return cmd
}
