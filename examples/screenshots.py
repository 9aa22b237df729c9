"""The screenshots in the README, of two recipes that a temporary Stride tunes on digits.      python -m examples.screenshots

Needs Chromium. Writes docs/job.png, the page of a job, and docs/compare.png, both jobs at their own best rates.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2
from playwright.sync_api import sync_playwright

from examples.demo import running_stride

DOCS = Path(__file__).parents[1] / "docs"
SPACE: dict[str, Any] = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 10.0, "log": True},
    "batch_size": {"type": "categorical", "choices": [16, 32, 64, 128]},
    "schedule": "cosine",
    "epochs": 10,
}
RECIPES = {"digits with Adam": {"optimizer": "adam"}, "digits with SGD": {"optimizer": "sgd", "momentum": 0.9}}
FINAL = {"completed", "failed", "cancelled"}
WIDTH, HEIGHTS = 1200, {"job": 1180, "compare": 1420}


def main() -> None:
    """Tune, open both pages, and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=DOCS, help="folder for the pictures")
    out = parser.parse_args().out
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("Chromium is missing: apt-get install chromium (Debian, Ubuntu), or brew install chromium")
    with tempfile.TemporaryDirectory(prefix="stride-screenshots-") as folder, running_stride(folder, workers=2) as url:
        with httpx2.Client(base_url=url, timeout=120, trust_env=False) as api:
            jobs = [submit(api, name, fixed) for name, fixed in RECIPES.items()]
            for job in jobs:
                while api.get(f"/v1/jobs/{job}").json()["state"] not in FINAL:
                    time.sleep(1)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page()
            for name, path in {"job": f"/jobs/{jobs[0]}", "compare": f"/compare?jobs={','.join(jobs)}"}.items():
                page.set_viewport_size({"width": WIDTH, "height": HEIGHTS[name]})
                page.goto(url + path)
                page.wait_for_selector(".plot:not(:has(.main-svg))", state="detached")
                page.screenshot(path=out / f"{name}.png")
            browser.close()
    print(f"Written: {out / 'job.png'}, {out / 'compare.png'}")


def submit(api: httpx2.Client, name: str, fixed: dict[str, Any]) -> str:
    """A job's id."""
    document = {
        "name": name,
        "objective": {"name": "image-classification"},
        "search_space": SPACE | fixed,
        "strategy": "bayesian",
        "budget": {"trials": 64},
        "seed": 7,
    }
    response = api.post("/v1/jobs", json=document)
    response.raise_for_status()
    return str(response.json()["id"])


if __name__ == "__main__":
    main()
