"""App packages -> a MetaData set for each bind."""

from orchestrator.discovery.discover import discover
from orchestrator.discovery.types import App, MetaDataSet, Models, ModelTable

__all__ = ["App", "MetaDataSet", "ModelTable", "Models", "discover"]
