"""Reports over what the stores hold: pure analysis, then a terminal page or a JSON document."""
