# README's own command in a container, for whoever has Docker and no Python:
#   docker build -t fergit .                                   the environment, then `make repro` on drawn faces
#   docker run --rm -it --network host fergit make lab         JupyterLab on the notebooks; or make app, make site, ...
FROM python:3.12-slim-bookworm AS tools
RUN apt-get update \
 && apt-get install --yes --no-install-recommends git make \
 && rm -rf /var/lib/apt/lists/* \
 && git config --system --add safe.directory '*'

FROM tools
WORKDIR /fergit
# The environment first, so that a change of the code does not install it again.
COPY Makefile requirements.txt ./
RUN git init --quiet && make setup && rm -r .git
COPY . .
RUN make repro
CMD ["make", "help"]
