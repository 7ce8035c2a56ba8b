"""The kernels and number formats of each kind of device."""
