"""One virtual machine: what it boots from, its images, its containers, and the engine that runs them."""
