"""The dashboard as code: `python deploy/grafana/dashboard.py > deploy/grafana/ttp.json`, and import that in Grafana."""

import json
import sys
from typing import Any

SOURCE = {"type": "prometheus", "uid": "${source}"}
TASKS = '{task=~"$task",queue=~"$queue"}'
FAILED = TASKS.replace("}", ',outcome=~"retried|dead"}')
BUCKETS = "rate(ttp_task_{}_seconds_bucket" + TASKS.replace("{", "{{").replace("}", "}}") + "[$__rate_interval])"
QUEUES = '{queue=~"$queue"}'
WIDTH, HEIGHT = 12, 8  # of a panel; the page is 24 wide


def _mean(summary: str) -> str:
    """The mean of a summary, where there was anything."""
    return f"sum(rate({summary}_sum[$__rate_interval])) / sum(rate({summary}_count[$__rate_interval]))"


PANELS: list[tuple[str, str, str, list[tuple[str, str]]]] = [
    (
        "Throughput",
        "Tasks that came to an outcome, a second.",
        "ops",
        [(f"sum by (task, outcome) (rate(ttp_tasks_executed_total{TASKS}[$__rate_interval]))", "{{task}} {{outcome}}")],
    ),
    (
        "Accepted and done",
        "By queue, of all producers and workers. Where the first stays above the second, a queue grows.",
        "ops",
        [
            (f"max by (queue) (rate(ttp_queue_accepted_total{QUEUES}[$__rate_interval]))", "{{queue}} accepted"),
            (
                'max by (queue) (rate(ttp_queue_finished_total{queue=~"$queue",outcome="done"}[$__rate_interval]))',
                "{{queue}} done",
            ),
        ],
    ),
    *(
        (
            title,
            about,
            "s",
            [
                (f"histogram_quantile({q}, sum by (task, le) ({BUCKETS.format(stage)}))", f"{{{{task}}}} p{100 * q:g}")
                for q in (0.5, 0.99)
            ],
        )
        for stage, title, about in (
            ("total", "Latency, end to end", "Submit of a task's frame to the server's acceptance of its outcome."),
            ("wait", "Wait in the queue", "Submit of a task's frame to the start of its run."),
            ("run", "Run", "Of the frame that carries a task."),
            ("commit", "Commit", "End of the run to the server's acceptance."),
        )
    ),
    (
        "Queue depth",
        "Tasks ready or running, and tasks that wait to be tried again.",
        "short",
        [
            (f"max by (queue) (ttp_queue_tasks{QUEUES})", "{{queue}} tasks"),
            (f"max by (queue) (ttp_queue_retries_waiting{QUEUES})", "{{queue}} to retry"),
        ],
    ),
    (
        "Oldest task",
        "Since the submit that opened the oldest frame that is not committed.",
        "s",
        [(f"max by (queue) (ttp_queue_oldest_age_seconds{QUEUES})", "{{queue}}")],
    ),
    (
        "Bytes in queues",
        "A queue takes 1 GiB by default.",
        "bytes",
        [(f"max by (queue) (ttp_queue_bytes{QUEUES})", "{{queue}}")],
    ),
    (
        "Failures",
        "Tasks tried again, dead or put off, a second.",
        "ops",
        [
            (
                f"sum by (task, outcome) (rate(ttp_tasks_executed_total{FAILED}[$__rate_interval]))",
                "{{task}} {{outcome}}",
            ),
            (f"sum by (task) (rate(ttp_tasks_deferred_total{TASKS}[$__rate_interval]))", "{{task}} deferred"),
        ],
    ),
    (
        "Dead letters",
        "Frames of tasks that failed for good.",
        "short",
        [(f"max by (queue) (ttp_queue_dead_frames{QUEUES})", "{{queue}}")],
    ),
    (
        "Circuit breakers",
        "Processes in which a breaker is not closed.",
        "short",
        [('sum by (breaker, state) (ttp_breaker_processes{state!="closed"})', "{{breaker}} {{state}}")],
    ),
    (
        "Workers",
        "Processes that take tasks, and tasks in their hands.",
        "short",
        [("sum(ttp_worker_serving)", "serving"), ("sum(ttp_tasks_in_hand)", "tasks in hand")],
    ),
    (
        "Recovery",
        "Tasks taken over from dead workers, runs that were duplicates, damaged frames, a second.",
        "ops",
        [
            ("sum(rate(ttp_tasks_reclaimed_total[$__rate_interval]))", "reclaimed tasks"),
            ("sum(rate(ttp_tasks_duplicated_total[$__rate_interval]))", "duplicated tasks"),
            ("sum(rate(ttp_frames_fenced_total[$__rate_interval]))", "fenced frames"),
            ("sum(rate(ttp_frames_corrupt_total[$__rate_interval]))", "corrupt frames"),
        ],
    ),
    (
        "Producers",
        "Tasks submitted, accepted, dropped and refused, a second; of processes that show their own metrics.",
        "ops",
        [
            ("sum by (app) (rate(ttp_producer_submitted_total[$__rate_interval]))", "{{app}} submitted"),
            ("sum by (app) (rate(ttp_producer_accepted_total[$__rate_interval]))", "{{app}} accepted"),
            ("sum by (app) (rate(ttp_producer_dropped_total[$__rate_interval]))", "{{app}} dropped"),
            (
                "sum by (app, reason) (rate(ttp_producer_refused_total[$__rate_interval]))",
                "{{app}} refused: {{reason}}",
            ),
        ],
    ),
    (
        "Pools and rings",
        "Blocks of producers' pools and slices in workers' rings that are used, of all there are.",
        "percentunit",
        [
            (
                "sum by (app) (ttp_producer_pool_blocks_used) / sum by (app) (ttp_producer_pool_blocks)",
                "{{app}} pool",
            ),
            ("sum(ttp_worker_ring_slices_used) / sum(ttp_worker_ring_slices)", "ring"),
        ],
    ),
    (
        "Round trips to the server",
        "Mean time of requests whose answer is waited for at once.",
        "s",
        [
            (_mean("ttp_worker_round_trip_seconds"), "workers"),
            (_mean("ttp_producer_round_trip_seconds"), "producers"),
        ],
    ),
    (
        "Requests to the server",
        "Each of one command or many, a second.",
        "ops",
        [
            ("sum(rate(ttp_worker_requests_total[$__rate_interval]))", "workers"),
            ("sum(rate(ttp_producer_requests_total[$__rate_interval]))", "producers"),
        ],
    ),
]


def dashboard() -> dict[str, Any]:
    """The dashboard, as Grafana imports it."""
    return {
        "uid": "ttp",
        "title": "ttp",
        "schemaVersion": 36,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "type": "datasource", "query": "prometheus", "label": "Data source"},
                _choice("queue", "label_values(ttp_queue_tasks, queue)"),
                _choice("task", "label_values(ttp_tasks_executed_total, task)"),
            ]
        },
        "panels": [_panel(n, *panel) for n, panel in enumerate(PANELS)],
    }


def _choice(name: str, query: str) -> dict[str, Any]:
    """A list to choose from, all at first."""
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _panel(number: int, title: str, about: str, unit: str, lines: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "description": about,
        "datasource": SOURCE,
        "gridPos": {"x": number % 2 * WIDTH, "y": number // 2 * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"lineWidth": 2, "fillOpacity": 8}}},
        "options": {"legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}},
        "targets": [
            {"refId": chr(ord("A") + n), "datasource": SOURCE, "expr": expression, "legendFormat": legend}
            for n, (expression, legend) in enumerate(lines)
        ],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(dashboard(), indent=1) + "\n")
