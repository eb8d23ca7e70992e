"""What the container contract will trip over, told before any run: pure rules over facts."""
