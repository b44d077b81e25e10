"""Long videos whose parts are clips: what people write of them, and checks."""
