"""The blocks of `params.yaml`, typed; `tasks.config` reads them."""
