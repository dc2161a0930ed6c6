"""Evaluation: from weights and a database to clip and video accuracies, by the published protocol."""
