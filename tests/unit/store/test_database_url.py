import pytest

from service.errors import ConfigurationError
from service.store.postgres import psycopg_url, stock_url


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2", "postgresql+asyncpg"])
def test_every_spelling_of_a_postgresql_url_is_understood(scheme: str) -> None:
    url = psycopg_url(f"{scheme}://ada:secret@db.example:5433/stride?sslmode=require")
    assert url.render_as_string(hide_password=False) == "postgresql+psycopg://ada:secret@db.example:5433/stride?sslmode=require"


@pytest.mark.parametrize(
    "url",
    [
        "",
        " ",
        "stride",
        "://",
        "/var/lib/stride",
        "sqlite://",
        "sqlite:///stride.db",
        "mysql://ada:secret@db.example/stride",
        "http://ada:secret@db.example/stride",
        "postgresql://ada:secret@db.example:port/stride",
        "postgresql://ada:secret@db.example:99999999/stride",
        "postgresql://ada:secret@db.example/stride?sslmod=require",
        "postgresql://ada:secret@[::1/stride",
        "postgresql:ada:secret@db.example/stride",
        "host=db.example password=secret dbname=stride",
        "postgresql://ada:secret@db.example/stri\0de",
    ],
)
def test_any_other_url_is_refused_in_one_line_that_shows_no_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        psycopg_url(url)
    message = str(refusal.value)
    assert "\n" not in message
    assert "postgresql://user:password@host:5432/name" in message
    assert "secret" not in message


def test_the_stock_url_puts_optunas_schema_first_and_keeps_the_rest() -> None:
    url = stock_url("postgres://ada:secret@db.example/stride?sslmode=require&options=-csearch_path%3Dpublic")
    assert url.startswith("postgresql+psycopg://ada:secret@db.example/stride?")
    assert "sslmode=require" in url
    assert "search_path%3Doptuna" in url
    assert "public" not in url
