// Loads SavedModels by tensorflow::LoadSavedModel, the function that TensorFlow Serving calls, and runs their signatures
// as it does: by names of tensors, in a session. Knows nothing of the package under test, and no Python.
//
//     loader < commands
//
//     load FOLDER                            prints the signatures: each tensor with its type and shape
//     run SIGNATURE PREFIX INPUT=FILE …      runs it twice; writes PREFIX.OUTPUT.1 and PREFIX.OUTPUT.2, prints seconds
//
// A file holds a tensor: a line with its type and its lengths, and its numbers as bytes; a string as it is.

#include <chrono>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/public/session_options.h"

namespace tf = tensorflow;

[[noreturn]] void Fail(const std::string& what) {
  std::cerr << what << std::endl;
  std::exit(1);
}

tf::Tensor Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string line, type;
  if (!std::getline(file, line)) Fail(path + " cannot be read");
  std::istringstream words(line);
  words >> type;
  if (type != "float") Fail(path + " holds " + type);
  tf::TensorShape shape;
  for (long length; words >> length;) shape.AddDim(length);
  tf::Tensor tensor(tf::DT_FLOAT, shape);
  absl::string_view bytes = tensor.tensor_data();
  file.read(const_cast<char*>(bytes.data()), bytes.size());
  if (!file) Fail(path + " is too short");
  return tensor;
}

void Write(const tf::Tensor& tensor, const std::string& path) {
  std::ofstream file(path, std::ios::binary);
  file << tf::DataTypeString(tensor.dtype());
  for (int axis = 0; axis < tensor.dims(); ++axis) file << " " << tensor.dim_size(axis);
  file << "\n";
  if (tensor.dtype() == tf::DT_STRING) {
    const tf::tstring& text = tensor.flat<tf::tstring>()(0);
    file.write(text.data(), text.size());
  } else {
    absl::string_view bytes = tensor.tensor_data();
    file.write(bytes.data(), bytes.size());
  }
  if (!file) Fail(path + " cannot be written");
}

void Print(const std::string& signature, const std::string& side,
           const google::protobuf::Map<std::string, tf::TensorInfo>& tensors) {
  for (const auto& [name, info] : std::map<std::string, tf::TensorInfo>(tensors.begin(), tensors.end())) {
    std::cout << "signature " << signature << " " << side << " " << name << " " << tf::DataTypeString(info.dtype());
    for (const auto& axis : info.tensor_shape().dim()) std::cout << " " << axis.size();
    std::cout << "\n";
  }
}

int main() {
  tf::SavedModelBundle model;
  for (std::string line, command; std::getline(std::cin, line);) {
    std::istringstream words(line);
    words >> command;
    if (command == "load") {
      std::string folder;
      words >> folder;
      absl::Status status = tf::LoadSavedModel(tf::SessionOptions(), tf::RunOptions(), folder, {"serve"}, &model);
      if (!status.ok()) Fail(status.ToString());
      std::cout << "model " << folder << "\n";
      for (const auto& [name, signature] : model.GetSignatures()) {
        Print(name, "input", signature.inputs());
        Print(name, "output", signature.outputs());
      }
    } else if (command == "run") {
      std::string name, prefix;
      words >> name >> prefix;
      const tf::SignatureDef& signature = model.GetSignatures().at(name);
      std::vector<std::pair<std::string, tf::Tensor>> inputs;
      for (std::string input; words >> input;) {
        const size_t equals = input.find('=');
        inputs.emplace_back(signature.inputs().at(input.substr(0, equals)).name(), Read(input.substr(equals + 1)));
      }
      std::vector<std::string> outputs, tensors;
      for (const auto& [output, info] : signature.outputs()) {
        outputs.push_back(output);
        tensors.push_back(info.name());
      }
      for (const std::string run : {"1", "2"}) {
        std::vector<tf::Tensor> found;
        const auto start = std::chrono::steady_clock::now();
        absl::Status status = model.session->Run(inputs, tensors, {}, &found);
        if (!status.ok()) Fail(status.ToString());
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        std::cout << "ran " << name << " " << run << " " << seconds.count() << "\n";
        for (size_t i = 0; i < found.size(); ++i) Write(found[i], prefix + "." + outputs[i] + "." + run);
      }
    } else {
      Fail("no command: " + line);
    }
  }
}
