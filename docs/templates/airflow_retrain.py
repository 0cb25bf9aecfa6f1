"""Trains for one request of the gateway. The id of the run is the id of the retraining."""

from datetime import timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Param

with DAG(
    dag_id="sluice_retrain",
    description="Trains a successor of a model for a request of the gateway",
    schedule=None,
    catchup=False,
    max_active_runs=4,
    dagrun_timeout=timedelta(hours=6),  # retrain.timeout
    params={
        "document": Param(type="string", format="uri", description="The URL of the document"),
        "token": Param("", type="string", description="The token of the request; empty: the workers have SLUICE_TOKEN"),
    },
    tags=["sluice"],
) as dag:
    BashOperator(
        task_id="train",
        # The document comes from the gateway, and its URL from the environment, so that no value of the run is a part of the script.
        bash_command='export SLUICE_TOKEN="${REQUEST_TOKEN:-$SLUICE_TOKEN}"; '
        'curl -fsS -H "Authorization: Bearer $SLUICE_TOKEN" "$DOCUMENT" | python /opt/sluice/trainer.py',
        env={"DOCUMENT": "{{ params.document }}", "REQUEST_TOKEN": "{{ params.token }}"},
        append_env=True,
        execution_timeout=timedelta(hours=5),
        retries=1,
        retry_delay=timedelta(minutes=1),
    )
