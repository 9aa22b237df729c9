import json

import plotly.graph_objects as go  # type: ignore[import-untyped]

from service.analysis.answer.best_lr import answer
from service.analysis.figures.alone import alone
from service.analysis.figures.response import response_figure
from tests.unit.analysis.trials import bowl, job, trained

RATE = "learning_rate"


def test_a_figure_that_stands_alone_has_title_sentence_and_paper_and_is_short() -> None:
    trials = trained(bowl(0.01), 40)
    figure = response_figure(answer(job(), trials), trials, RATE, sign=1.0)
    assert figure is not None
    text = alone(figure, "Learning rate 0.01", "40 of 90 trials are drawn.")
    found = json.loads(text)
    go.Figure(found)  # raises ValueError for what Plotly does not know
    assert found["layout"]["title"]["text"].startswith("<b>Learning rate 0.01</b><br><sup>40 of 90 trials are drawn. ")
    assert "Each mark is a trial" in found["layout"]["title"]["text"].replace("<br>", " ")
    assert (found["layout"]["paper_bgcolor"], found["layout"]["font"]["color"]) == ("#ffffff", "#1c1c1c")
    assert len(text) < 0.6 * len(json.dumps(figure.to_json()))
    drawn = [trace for trace in found["data"] if trace.get("name") == "complete"]
    assert drawn[0]["x"] == [float(f"{each.params[RATE]:.4g}") for each in trials]


def test_names_are_no_tags_in_it() -> None:
    trials = trained(bowl(0.01), 8)
    figure = response_figure(answer(job(metric="<b>loss</b>"), trials), trials, RATE, sign=1.0)
    assert figure is not None
    found = json.loads(alone(figure, "<a href='x'>"))
    assert "&lt;a href='x'&gt;" in found["layout"]["title"]["text"]
    assert found["layout"]["yaxis"]["title"]["text"] == "&lt;b&gt;loss&lt;/b&gt;"
