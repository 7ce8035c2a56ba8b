"""What many machines do under a day's arrivals, on paper: docs/scale.md."""
