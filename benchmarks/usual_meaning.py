"""What parameters of the usual names mean, for jobs whose objective nobody trains."""

from objectives.catalog import load_catalog
from service.api.meaning import meaning_of

USUAL_MEANING = meaning_of(load_catalog()["image-classification"])
