"""What is done to a lake besides taking files in: going back, keeping history cheap and safe."""
