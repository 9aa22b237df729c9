"""The client of a Stride service: it submits jobs, trains their trials in this process, and reads their answers."""

from stride.client.client import Client
from stride.client.job import BestLearningRate, Interval, Job

__all__ = ["BestLearningRate", "Client", "Interval", "Job"]
