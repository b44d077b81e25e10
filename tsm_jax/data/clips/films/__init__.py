"""Long videos, of which parts are clips."""
