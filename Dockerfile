# The tested set in an image. Not built by us yet: tell us what fails.
#     docker build -t refinepose .
# torch's default build brings CUDA and runs on a CPU, too. For a smaller image, for CPUs alone, name
# a package index with CPU builds of torch:
#     docker build -t refinepose --build-arg PIP_EXTRA_INDEX_URL=... .
FROM python:3.11-slim

ARG PIP_EXTRA_INDEX_URL
WORKDIR /refinepose_mm
COPY requirements/torch.txt requirements/lock.txt requirements/
RUN pip install --no-cache-dir -r requirements/torch.txt -c requirements/lock.txt && \
    pip install --no-cache-dir --no-deps -r requirements/lock.txt
COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e .
CMD ["refinepose", "doctor"]
