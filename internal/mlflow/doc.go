// Package mlflow reads versions of models from the registry of an MLflow server, over MLflow's REST API.
//
// The server is trusted to say which version a reference names, and nothing more: it cannot make the gateway
// send credentials elsewhere, ask other hosts, read other folders, wait for ever, or keep an answer of any size.
package mlflow
