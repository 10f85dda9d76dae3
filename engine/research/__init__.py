"""Research: a question becomes topics, articles from everywhere, their ranking, an answer."""
