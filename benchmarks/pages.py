"""How heavy a job's page is, and how long it takes to open: with 64, 500 and 5,000 trials of twenty steps.

    python -m benchmarks.pages [--out benchmarks/results]

Weight: of the page as it is sent, without Plotly's script. The answer is computed once per number of finished trials: the first
request waits for it. In Chromium: from the address to the first and to the last figure drawn, with an empty cache and an answer
that is known.
"""

import argparse
import shutil
import statistics
import time
from pathlib import Path

import httpx2
import psycopg
from playwright.sync_api import Browser, sync_playwright

from benchmarks.tables import Table, publish
from benchmarks.temporary_stride import temporary_stride
from benchmarks.whole_service import answer

SIZES = (64, 500, 5_000)
OPENED = 5
"""Times that a page is opened; the median counts."""
JOB = {
    "objective": {"name": "image-classification"},
    "search_space": {"learning_rate": {"type": "float", "low": 1e-4, "high": 10.0, "log": True}, "epochs": 20},
    "strategy": "random",
    "budget": {"trials": 6_000},
}
TRIALS = """
WITH new AS (
    INSERT INTO optuna.trials (number, study_id, state, datetime_start, datetime_complete)
    SELECT number, %(study)s, 'COMPLETE', now(), now() FROM generate_series(%(first)s::integer, %(last)s::integer) AS number
    RETURNING trial_id
), drawn AS (
    SELECT trial_id, -4 + 5 * random() AS exponent FROM new
), params AS (
    INSERT INTO optuna.trial_params (trial_id, param_name, param_value, distribution_json)
    SELECT trial_id, 'learning_rate', 10 ^ exponent, %(distribution)s FROM drawn
), results AS (
    INSERT INTO optuna.trial_values (trial_id, objective, value, value_type)
    SELECT trial_id, 0, 0.1 + (exponent + 1) ^ 2 + 0.1 * random(), 'FINITE' FROM drawn
), reported AS (
    INSERT INTO optuna.trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type)
    SELECT trial_id, step, 0.1 + (exponent + 1) ^ 2 + 2.0 / step, 'FINITE' FROM drawn, generate_series(1, 20) AS step
)
INSERT INTO stride.measurements (trial_id, step, fraction, in_warmup, metrics, learning_rate, seconds)
SELECT trial_id, step, step / 20.0, false, '{"validation_loss": "0.5", "generalization_gap": "0.1"}', 10 ^ exponent, 0.1
FROM drawn, generate_series(1, 20) AS step
"""
DISTRIBUTION = '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 10.0, "log": true}}'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder for the report; left out: only printed")
    arguments = parser.parse_args()
    table = Table(
        f"A job's page; median of {OPENED} times",
        ["trials", "kB", "first answer, s", "served, s", "answer and curve in Chromium, s", "all figures, s"],
    )
    with (
        temporary_stride(workers=0) as stride,
        psycopg.connect(stride.database_url.replace("+psycopg", ""), autocommit=True) as conn,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        path = f"/jobs/{answer(stride.api.post('/v1/jobs', json=JOB))['id']}"
        found = conn.execute("SELECT study_id FROM stride.jobs").fetchone()
        assert found is not None
        before = 0
        for size in SIZES:
            values = {"study": found[0], "first": before, "last": size - 1, "distribution": DISTRIBUTION}
            conn.execute(TRIALS, values)
            conn.execute("ANALYZE")
            before = size
            (first, weight), *served = [served_in(stride.api, path) for _ in range(1 + OPENED)]
            drawn = [drawn_in(browser, stride.url + path) for _ in range(OPENED)]
            times = [statistics.median(seconds for seconds, _ in served)]
            times += [statistics.median(each) for each in zip(*drawn, strict=True)]
            table.add(f"{size:,}", f"{weight / 1000:.0f}", f"{first:.2f}", *(f"{each:.2f}" for each in times))
        browser.close()
    publish("pages", [table], 1, arguments.out)


def served_in(api: httpx2.Client, path: str) -> tuple[float, int]:
    """Seconds until a page is there, and its bytes."""
    began = time.monotonic()
    response = api.get(path)
    assert response.is_success, response.text
    return time.monotonic() - began, len(response.content)


def drawn_in(browser: Browser, url: str) -> tuple[float, float]:
    """Seconds until the first figure of a page is drawn, which is its response curve, and until the last one is."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    began = time.monotonic()
    page.goto(url, wait_until="commit")
    page.wait_for_selector(".plot .main-svg", state="attached")
    first = time.monotonic() - began
    page.wait_for_load_state()
    page.wait_for_selector(".plot:not(:has(.main-svg))", state="detached")
    last = time.monotonic() - began
    page.close()
    return first, last


if __name__ == "__main__":
    main()
