"""Makes the files in `dashboards/` from tables of panels: `make dashboards`."""
