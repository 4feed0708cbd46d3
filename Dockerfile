# docker build -t dla-jax .    for NVIDIA GPUs: --build-arg EXTRAS=cuda13
# docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" dla-jax --config=rescnn.py:smoke
FROM python:3.12-slim AS wheel
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir=/wheels .

FROM python:3.12-slim
ARG EXTRAS=""
COPY --from=wheel /wheels /wheels
RUN pip install --no-cache-dir "dla_jax[$EXTRAS] @ file://$(ls /wheels/*.whl)" \
    && useradd --create-home user \
    && install -d -o user /work
# Compiled programs are kept below HOME, which has to be open to whatever --user is given.
ENV HOME=/tmp
USER user
WORKDIR /work
ENTRYPOINT ["dla-jax"]
CMD ["--help"]
