#!/usr/bin/env bash
# Checks the templates for trainers: the Job against the schemas of Kubernetes, the DAG with Airflow's own parser. Installs both checkers
# into .cache/templates.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=.cache/templates
if [ ! -e "$venv/installed" ]; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q kubernetes-validate==1.37.0 apache-airflow-core==3.3.2 apache-airflow-providers-standard==1.21.0
  touch "$venv/installed"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# With values, as envsubst fills them in.
sed 's|${ID}|0123456789abcdef0123456789abcdef|; s|${DOCUMENT}|https://gateway:8002/api/v1/signals/1/training|; s|${TOKEN}|sluice_retrain_0123|' docs/templates/kubernetes-job.yaml > "$work/job.yaml"
"$venv/bin/kubernetes-validate" --strict "$work/job.yaml"

# Airflow reads the file as its scheduler does: the DAG with its tasks and the values that a run needs.
AIRFLOW_HOME="$work/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False "$venv/bin/python" - "$PWD/docs/templates/airflow_retrain.py" <<'PY'
import importlib.util
import sys

from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

spec = importlib.util.spec_from_file_location("airflow_retrain", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
dag: DAG = module.dag
dag.check_cycle()
DagSerialization.to_dict(dag)  # checks it against Airflow's JSON schema of DAGs
assert dag.dag_id == "sluice_retrain" and [t.task_id for t in dag.tasks] == ["train"], dag.tasks
try:
    dag.params.validate()
except Exception:
    pass
else:
    raise SystemExit("a run without the URL of a document is valid")
dag.params["document"] = "https://gateway:8002/api/v1/signals/1/training"
dag.params.validate()
print("airflow_retrain.py: valid")
PY
