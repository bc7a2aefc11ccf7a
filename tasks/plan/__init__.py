"""Plan: which days and which champion a run is made of, and where its training starts."""
