"""The composition root: settings into running parts. The only room that knows all others."""
