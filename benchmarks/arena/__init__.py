"""Methods trained alike on a phantom and measured on held-out scans."""
